//! What only the machine can tell, asked right before a start: secrets, users, ports, programs.
