"""The report of a run: sections made once from plan and journal, written as one HTML and one Markdown file."""
