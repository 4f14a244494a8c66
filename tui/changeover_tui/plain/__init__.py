"""The wizard without a screen: the same questions, checks, plan and run as prompts and lines."""
