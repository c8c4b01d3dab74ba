"""What ships in a bundle, standard library only: the guard and the payload shapes of the harnesses."""
