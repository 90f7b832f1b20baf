"""The client of the engine: the only way from the rest of Planton to Rasa."""
