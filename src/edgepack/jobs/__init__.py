"""How work lasts: durable workflows, their steps, the rules of a job's life, and recovery of dead workers."""
