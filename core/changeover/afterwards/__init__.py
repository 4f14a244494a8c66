"""What can be done with a run that has ended: go back, clean up. Verbs, plain lines and screens all call this."""
