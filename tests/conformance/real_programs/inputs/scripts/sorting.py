import random

random.seed(5)
values = sorted(random.random() for _ in range(3000))
print(values[:3], values[1500], random.gauss(0, 1), random.sample(range(1000), 5))
