"""One module per warning: each a pure function of survey and answers, registered by its code."""
