"""The vendors' packages and the door they come in through (`spi`)."""
