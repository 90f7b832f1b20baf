"""The agents' desk: the queue, a conversation's thread, and what an agent does to it; one module a topic.

`Desk.access` is the one door to a conversation: every view and every action goes through it.
Each action is one transaction that locks the conversation's row, so that two agents, the gateway and a worker never
decide at the same time; a worker that holds the conversation loses it by the owner's version.
"""
