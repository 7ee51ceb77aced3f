from setuptools import find_packages, setup
setup(name="mlnb", version="0.1.0", packages=find_packages(include=["mlnb*"]), entry_points={"console_scripts": ["mlnb=mlnb.cli.main:main"]})
