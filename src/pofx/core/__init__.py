"""What a model is, knowing no model by name: the contract, the fold over rows, the laws."""
