"""Quality control: rules, gates, recording, what people do and see."""
