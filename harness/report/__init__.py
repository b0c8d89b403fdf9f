"""Say how cases went to machines and to people: JUnit XML, JSON, GitHub annotations, one HTML page.

Every format names a case by the same stable id, ``theme/name[variant]@subject``.
"""
