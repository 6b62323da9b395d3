"""Everything that imports torch, below the models; a model imports from here when it is fitted or asked."""
