"""Reports as one file of HTML that fetches nothing: tables, and pictures as SVG that these modules draw."""
