"""Loops over the windows of a series, compiled: lanes are neighbouring windows that go step by step together.

Every window takes the operations of a live run in their order, so it has its values, to the last bit; nothing here may
be reordered, and the compiler does not. That neighbours go together puts them into the lanes of the processor's
vectors, and the bars that they share into its first cache.

In all functions row i of window j is the element i + j of an array by bar; ``n`` are the rows of a window, ``w`` the
windows. Results go into the last arguments.
"""

#: Windows that go together: what they carry along, and the bars of a step, stay in the processor's first cache.
LANES = 256
#: The same where each window has room for many rows.
FEW = 64
#: Windows that go together where what is computed by bar is computed for those in one go.
MANY = 2048
