"""Reports to look at: one HTML file each, with everything in it and nothing to fetch."""

from __future__ import annotations

from hdcodec.pages.comparison import comparison_page
from hdcodec.pages.evaluation import evaluation_page

__all__ = ["comparison_page", "evaluation_page"]
