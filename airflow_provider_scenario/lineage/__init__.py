"""What tasks report to OpenLineage. Nothing of OpenLineage is imported before its listener asks for facets."""
