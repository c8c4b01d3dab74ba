"""Training: the base model, the teacher's targets, the loss, the loop, and the adapter that comes out."""
