"""EMMS: rank pre-trained networks for a dataset without fine-tuning them (Meng et al., NeurIPS 2023)."""
