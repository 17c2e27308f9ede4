"""The national run: a whole country generated, ingested, built, published and asked, in stages that resume.

Belongs here: which stages there are, what each costs, what is left of a run in its folder. Does not belong
here: how a stage does its work; every stage is a command of ours, run as an operator runs it.
"""
