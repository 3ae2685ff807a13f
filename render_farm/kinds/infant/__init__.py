"""Infants in a nursery: lying, sitting, crawling, standing."""
