from decimal import Decimal, getcontext

getcontext().prec = 50
print(Decimal(2).sqrt())
print(Decimal(1).exp())
print(Decimal(10) / 7)
