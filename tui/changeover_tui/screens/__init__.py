"""One screen per file, with its style sheet beside it. A screen tells the app what happened; the app goes on."""
