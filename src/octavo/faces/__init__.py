"""What people and programs look at. Each face is a client of the app-server and nothing else."""
