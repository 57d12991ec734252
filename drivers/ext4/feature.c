/*
 * feature.c - which ext4 features this driver does, and saying no by name.
 */
#include <stdarg.h>
#include <stdio.h>
#include "ext4.h"

struct feature {
	uint32_t bit;
	const char *name;
	enum { YES, READ_ONLY, NO } can;
};

static const struct feature compat[] = {
	{ EXT2_FEATURE_COMPAT_DIR_PREALLOC, "dir_prealloc", YES },
	{ EXT2_FEATURE_COMPAT_IMAGIC_INODES, "imagic_inodes", NO },
	{ EXT3_FEATURE_COMPAT_HAS_JOURNAL, "has_journal", YES },
	{ EXT2_FEATURE_COMPAT_EXT_ATTR, "ext_attr", YES },
	{ EXT2_FEATURE_COMPAT_RESIZE_INODE, "resize_inode", YES },
	{ EXT2_FEATURE_COMPAT_DIR_INDEX, "dir_index", YES },
	{ EXT2_FEATURE_COMPAT_LAZY_BG, "lazy_bg", NO },
	{ EXT2_FEATURE_COMPAT_EXCLUDE_BITMAP, "snapshot_bitmap", NO },
	{ EXT4_FEATURE_COMPAT_SPARSE_SUPER2, "sparse_super2", YES },
	{ EXT4_FEATURE_COMPAT_FAST_COMMIT, "fast_commit", YES },
	{ EXT4_FEATURE_COMPAT_STABLE_INODES, "stable_inodes", YES },
	{ EXT4_FEATURE_COMPAT_ORPHAN_FILE, "orphan_file", YES },
	{ 0 }
};

static const struct feature incompat[] = {
	{ EXT2_FEATURE_INCOMPAT_COMPRESSION, "compression", NO },
	{ EXT2_FEATURE_INCOMPAT_FILETYPE, "filetype", YES },
	{ EXT3_FEATURE_INCOMPAT_RECOVER, "needs_recovery", YES },
	{ EXT3_FEATURE_INCOMPAT_JOURNAL_DEV, "journal_dev", NO },
	{ EXT2_FEATURE_INCOMPAT_META_BG, "meta_bg", YES },
	{ EXT3_FEATURE_INCOMPAT_EXTENTS, "extents", YES },
	{ EXT4_FEATURE_INCOMPAT_64BIT, "64bit", YES },
	{ EXT4_FEATURE_INCOMPAT_MMP, "mmp", READ_ONLY },
	{ EXT4_FEATURE_INCOMPAT_FLEX_BG, "flex_bg", YES },
	{ EXT4_FEATURE_INCOMPAT_EA_INODE, "ea_inode", NO },
	{ EXT4_FEATURE_INCOMPAT_DIRDATA, "dirdata", NO },
	{ EXT4_FEATURE_INCOMPAT_CSUM_SEED, "metadata_csum_seed", YES },
	{ EXT4_FEATURE_INCOMPAT_LARGEDIR, "large_dir", YES },
	{ EXT4_FEATURE_INCOMPAT_INLINE_DATA, "inline_data", YES },
	{ EXT4_FEATURE_INCOMPAT_ENCRYPT, "encrypt", NO },
	{ EXT4_FEATURE_INCOMPAT_CASEFOLD, "casefold", NO },
	{ 0 }
};

static const struct feature ro_compat[] = {
	{ EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER, "sparse_super", YES },
	{ EXT2_FEATURE_RO_COMPAT_LARGE_FILE, "large_file", YES },
	{ EXT4_FEATURE_RO_COMPAT_HUGE_FILE, "huge_file", YES },
	{ EXT4_FEATURE_RO_COMPAT_GDT_CSUM, "uninit_bg", YES },
	{ EXT4_FEATURE_RO_COMPAT_DIR_NLINK, "dir_nlink", YES },
	{ EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE, "extra_isize", YES },
	{ EXT4_FEATURE_RO_COMPAT_HAS_SNAPSHOT, "has_snapshot", READ_ONLY },
	{ EXT4_FEATURE_RO_COMPAT_QUOTA, "quota", READ_ONLY },
	{ EXT4_FEATURE_RO_COMPAT_BIGALLOC, "bigalloc", NO },
	{ EXT4_FEATURE_RO_COMPAT_METADATA_CSUM, "metadata_csum", YES },
	{ EXT4_FEATURE_RO_COMPAT_REPLICA, "replica", READ_ONLY },
	{ EXT4_FEATURE_RO_COMPAT_READONLY, "read-only", READ_ONLY },
	{ EXT4_FEATURE_RO_COMPAT_PROJECT, "project", YES },
	{ EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks", READ_ONLY },
	{ EXT4_FEATURE_RO_COMPAT_VERITY, "verity", NO },
	{ EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT, "orphan_present", READ_ONLY },
	{ 0 }
};

void rk__ext4_complain(const struct rk_host *host, const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	host->complain(host->ctx, text);
}

static int check(const struct rk_host *host, const struct feature *table,
		 const char *kind, uint32_t bits, bool read_only)
{
	for (; table->bit; table++) {
		if (!(bits & table->bit))
			continue;
		bits &= ~table->bit;
		if (table->can == YES ||
		    (table->can == READ_ONLY && read_only))
			continue;
		rk__ext4_complain(host, "ext4: feature '%s' is not supported%s",
				  table->name, table->can == READ_ONLY
				  ? " for writing; mount it read-only" : "");
		return -EINVAL;
	}
	if (!bits)
		return 0;
	rk__ext4_complain(host, "ext4: %s feature 0x%x is not supported", kind,
			  bits);
	return -EINVAL;
}

int rk__ext4_features(const struct rk_host *host,
		      const struct ext2_super_block *sb, bool read_only,
		      bool *needs_recovery)
{
	int err;

	if (sb->s_rev_level == EXT2_GOOD_OLD_REV)
		return 0;
	err = check(host, incompat, "incompatible", sb->s_feature_incompat,
		    read_only);
	if (!err)
		err = check(host, ro_compat, "ro_compat",
			    sb->s_feature_ro_compat, read_only);
	if (!err)
		err = check(host, compat, "compatible", sb->s_feature_compat,
			    read_only);
	if (err || !(sb->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER))
		return err;
	if (read_only) {
		rk__ext4_complain(host, "ext4: the journal of this file "
				  "system needs recovery, which needs a "
				  "writable mount");
		return -EUCLEAN;
	}
	rk__ext4_complain(host, "ext4: the journal needs recovery");
	*needs_recovery = true;
	return -EUCLEAN;
}
