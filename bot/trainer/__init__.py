"""The workbench: what trainers do to the project's files (examples, replies, models), without any page.

Files are read and written through `project.Project` alone; the console shows it, `planton check` and the role `trainer` use it.
"""
