"""DICOMweb (PS3.18) without I/O: what a client and a server write to each other and how they read it.

- `resources` the URLs of studies, series, instances, frames and their renditions as values; `uids` beneath it;
- `queries` search parameters, `matching` what they match, `attributes` the names they use;
- `media_types` Content-Type and Accept, and who settles on what;
- `multipart` multipart/related, fed with bytes, pulled as events;
- `dicom_json`, `native_xml` the two ways to write a data set in text;
- `store_results` the outcome of each stored instance; `warnings299` what the other side wants to tell.

Nothing here opens a socket or a file. Whatever bytes come in, a value or a `DicomwebError` comes out.
"""
