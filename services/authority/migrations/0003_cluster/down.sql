DROP TABLE cluster_drift;
DROP TABLE cluster_fact;
DROP TABLE cluster_topic;
