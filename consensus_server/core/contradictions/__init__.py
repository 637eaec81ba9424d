"""Whether two answers contradict one another, told by their words. Similar vectors do not tell: opposites lie close.

From a text to a finding, in the order of the modules:

    lexicon       the files of `data/`: opposites, exclusive categories, units, irregular forms, closed classes of words
    stems         forms of one word, British or American, as one
    classes       content words by stem: opposites, categories, generic ones
    quantities    numbers with what they count, frequencies, clock times, dates
    sentences     a text as sentences, its turns of phrase written in one way
    reading       what each sentence affirms and denies, where it stands, what it counts
    questions     what a prompt asks for
    replies       which sentences of an answer reply to it
    alignment     two sentences side by side: do they speak of the same?
    opposites, polarity, amounts, exchanged, roles    how they differ
    stance        what two answers say to a closed question, in sentences that share no word
    compare       all of these, for two answers
    doubts        what words leave open, for a model to judge
    words         the adapter of the port `Contradictions`

docs/contradictions.md says what is caught, what is not, and how words are added.
"""
