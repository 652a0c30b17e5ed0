def descend(depth):
    return descend(depth + 1)


try:
    descend(0)
except RecursionError as error:
    print(type(error).__name__)
