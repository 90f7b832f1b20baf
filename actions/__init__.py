"""Rasa's actions, one module per topic: read slots, call one function, utter by name.

Every sentence stands in domain.yml. The actions import nothing of the project but bot.core and bot.policy.
"""
