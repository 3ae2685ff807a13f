"""Children, women, men and old people, indoors and outdoors: standing, walking, sitting, lying, doing sport."""
