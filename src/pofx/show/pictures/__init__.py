"""What each picture shows: models and rows -> records of marks over axes. Nothing here draws."""
