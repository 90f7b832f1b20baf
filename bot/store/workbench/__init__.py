"""What the workbench keeps in the database: readings to look at, corrections, trainings, publications."""
