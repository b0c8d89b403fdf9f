"""Cases: who plays which scenario; run, predicted, judged; and a lab to walk around in."""
