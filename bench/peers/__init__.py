"""What a desk would write instead of using the product; run beside it."""
