-- The passwords of the roles, from files: for psql, which reads them itself. Run again after a
-- password was renewed. `-v secrets=DIRECTORY` names another directory.
\set ON_ERROR_STOP on
\if :{?secrets}
\else
    \set secrets /run/secrets/bookended
\endif
\set owner `cat :'secrets'/owner`
\set processor `cat :'secrets'/processor`
\set reader `cat :'secrets'/reader`
ALTER ROLE bookended_owner PASSWORD :'owner';
ALTER ROLE bookended_processor PASSWORD :'processor';
ALTER ROLE bookended_reader PASSWORD :'reader';
