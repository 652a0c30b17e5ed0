"""stub"""
from contextlib import contextmanager
class Translations:
    def __init__(self,*a,**k): pass
    @contextmanager
    def suspended(self,a,b): yield
    def hot(self,t): pass
    def install_ready(self): return False
    def invalidate(self,a,b): pass
    def close(self): pass
