"""Which answers of a pool mean the same.

equivalences    one table: from the name of an equivalence to the clusters that it makes
linkage         `semantic`: clusters of embeddings
final_answers   `final_answer`: the answer that a text comes to
values          when two final answers are equal
code            `code`: when two Python programs are equal
"""
