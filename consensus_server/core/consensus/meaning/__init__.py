"""Which answers of a pool mean the same.

equivalences    one table: from the name of an equivalence to the clusters that it makes
linkage         `semantic`: clusters of embeddings
final_answers   `final_answer`: the answer that a text comes to
values          when two final answers are equal
json_values     `json`: when two JSON values are equal, and where they differ
tool_calls      replies that call tools, beside replies in words
code            `code`: when two Python programs are equal
"""
