"""CT values and where they lie: Hounsfield units, geometry, instances, series, volumes and regions of interest."""
