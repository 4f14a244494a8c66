"""Everything of Changeover that has a screen: the Textual wizard, the plain prompts and the command line."""
