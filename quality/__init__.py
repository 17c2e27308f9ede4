"""What an acceptable extract is. Pure functions: manifest or frame in, verdict out."""
