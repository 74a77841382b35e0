"""Why a KPI is what it is: which segments drive the change, whether load explains it, and the tickets that show it."""
