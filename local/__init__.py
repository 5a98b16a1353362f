"""What a laptop needs to run the function without an AWS account; never shipped."""
