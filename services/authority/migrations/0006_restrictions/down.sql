DROP TABLE restriction_page;
DROP TABLE restriction_issue;
DROP TABLE restriction;
DROP FUNCTION restriction_is_kept();
