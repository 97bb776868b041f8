"""How the documentation is built: Markdown in, HTML out, nothing fetched."""

project = "Mainstay"
author = "The Mainstay authors"
copyright = "The Mainstay authors"

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["drills/*"]

html_theme = "furo"
html_title = "Mainstay"
html_show_sphinx = False
html_copy_source = False
