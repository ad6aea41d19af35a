/** The reader of INI files, for gcloud's configurations. No logic here. */
export { parse } from 'ini';
