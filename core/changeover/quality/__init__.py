"""Is the new side as good as the old one on the queries that people really ask?"""
