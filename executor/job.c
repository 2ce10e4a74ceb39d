/* SPDX-License-Identifier: PostgreSQL */
/*
 * job.c: what was claimed, turned into frames for sbx-init, and how it ended. The database has
 * checked what it hands out; it is checked here again, because this process faces the host. The
 * outcome comes from the frame's wait status and the leaf's own counters, never from the exit code
 * of runsc, which a job can imitate.
 */
#define _GNU_SOURCE
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bundle.h"
#include "job.h"

#define CODE_FILE "main"
#define JOB_FOLDER "/tmp/job/"
#define MAX_ARGS 200
#define FUSE_FACTOR 16 /* threads of the sentry for each process of the job */

static void
add_frame(GaJob *job, char type, const char *data, size_t length)
{
	GaSandbox carrier = {.outgoing = job->frames};

	ga_sandbox_frame(&carrier, type, data, length);
	job->frames = carrier.outgoing;
}

static void
add_file(GaJob *job, const char *name, const char *data, size_t length)
{
	add_frame(job, GA_WIRE_FILE, name, strlen(name));
	add_frame(job, GA_WIRE_DATA, data, length);
}

static bool
add_args(GaJob *job, const char *text, bool required)
{
	json_t *list = json_loads(text, 0, NULL);
	size_t count = json_array_size(list);
	bool good = json_is_array(list) && count <= MAX_ARGS && (count > 0 || !required);
	size_t index;
	json_t *one;

	json_array_foreach(list, index, one)
	{
		good = good && json_is_string(one) && json_string_length(one) < GA_WIRE_MAX;
		if (good)
			add_frame(job, GA_WIRE_ARG, json_string_value(one), json_string_length(one));
	}
	json_decref(list);
	return good;
}

static bool
add_files(GaJob *job, const char *text)
{
	json_t *files = json_loads(text, 0, NULL);
	bool good = json_is_object(files);
	const char *name;
	json_t *content;

	json_object_foreach(files, name, content)
	{
		good = good && json_is_string(content) && ga_bundle_name_ok(name) &&
		       strcmp(name, CODE_FILE) != 0;
		if (good)
			add_file(job, name, json_string_value(content), json_string_length(content));
	}
	json_decref(files);
	return good;
}

static bool
read_limits(GaJob *job, const GaClaim *claim)
{
	long memory_mb = strtol(claim->memory_mb, NULL, 10);
	long pids = strtol(claim->pids, NULL, 10);

	job->timeout_ms = strtoll(claim->timeout_ms, NULL, 10);
	job->limits.memory_bytes = (int64_t) memory_mb << 20;
	job->limits.cpus = strtod(claim->cpus, NULL);
	job->limits.tasks = (int) pids * FUSE_FACTOR + 256;
	/* sbx-init is a process of the same user: the job itself gets what it asked for */
	job->inner.nproc = (uint32_t) pids + 1;
	job->inner.address_space_mb = (uint32_t) memory_mb < 2048 ? 4096 : (uint32_t) memory_mb * 2;
	return job->timeout_ms > 0 && memory_mb >= GA_JOB_MEMORY_MIN_MB &&
	       memory_mb <= GA_JOB_MEMORY_MAX_MB && pids >= 1 && pids <= GA_JOB_PIDS_MAX &&
	       job->limits.cpus >= 0.01 && job->limits.cpus <= 64;
}

GaJob *
ga_job_new(const GaClaim *claim)
{
	GaJob *job = ga_alloc(sizeof(*job));
	bool good;

	snprintf(job->id, sizeof(job->id), "%s", claim->job_id);
	snprintf(job->token, sizeof(job->token), "%s", claim->token);
	snprintf(job->rootfs, sizeof(job->rootfs), "%s", claim->rootfs);
	good = read_limits(job, claim) && ga_bundle_name_ok(job->rootfs);
	add_frame(job, GA_WIRE_LIMITS, (const char *) &job->inner, sizeof(job->inner));
	good = good && add_args(job, claim->argv, true);
	add_frame(job, GA_WIRE_ARG, JOB_FOLDER CODE_FILE, strlen(JOB_FOLDER CODE_FILE));
	good = good && add_args(job, claim->args, false);
	add_file(job, CODE_FILE, claim->code, strlen(claim->code));
	good = good && add_files(job, claim->files);
	if (claim->input != NULL && claim->input[0] != '\0')
		add_frame(job, GA_WIRE_STDIN, claim->input, strlen(claim->input));
	add_frame(job, GA_WIRE_GO, "", 0);
	job->started = ga_now_ms();
	if (!good)
		ga_job_end(job, NULL, GA_JOB_LOST, "the executor was handed a job it cannot read");
	return job;
}

void
ga_job_free(GaJob *job)
{
	ga_buffer_free(&job->frames);
	ga_buffer_free(&job->out);
	ga_buffer_free(&job->err);
	free(job);
}

const char *
ga_job_status(const GaJob *job)
{
	return ga_fsm_state_name(GA_MACHINE_JOB, (int) job->outcome);
}

void
ga_job_end(GaJob *job, GaSandbox *box, GaJobState outcome, const char *error)
{
	job->phase = GA_PHASE_ENDED;
	job->outcome = outcome;
	job->wall_ms = ga_now_ms() - job->started;
	if (error != NULL)
		snprintf(job->error, sizeof(job->error), "%s", error);
	/* some of it is what came out of the sandbox: the database takes no broken UTF-8 */
	for (char *c = job->error; *c != '\0'; c++)
		if ((unsigned char) *c < ' ' || (unsigned char) *c > '~')
			*c = '?';
	if (box == NULL)
		return;
	job->cpu_ms = (box->usage.cpu_us - box->cpu_base_us) / 1000;
	job->peak_kb = box->usage.peak_bytes / 1024;
	job->truncated = box->truncated;
	job->out = box->out;
	job->err = box->err;
	memset(&box->out, 0, sizeof(box->out));
	memset(&box->err, 0, sizeof(box->err));
}

static void
judge_exit(GaJob *job, GaSandbox *box)
{
	int status = box->wait_status;
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	job->has_exit_code = WIFEXITED(status);
	job->has_signal = WIFSIGNALED(status);
	job->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	job->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (!clean && box->usage.oom_kills > 0)
		ga_job_end(job, box, GA_JOB_OOM_KILLED, "the job used more memory than its limit");
	else if (clean && box->fault[0] == '\0')
		ga_job_end(job, box, GA_JOB_SUCCEEDED, NULL);
	else
		ga_job_end(job, box, GA_JOB_FAILED, box->fault[0] != '\0' ? box->fault : NULL);
}

void
ga_job_judge(GaJob *job, GaSandbox *box, const char *state_dir)
{
	char path[GA_PATH_MAX], error[GA_WHY_MAX];
	struct stat panic;

	if (box->exited)
	{
		judge_exit(job, box);
		return;
	}
	ga_path(path, "%s/log/%s.panic", state_dir, box->id);
	if (box->usage.oom_kills > 0)
		ga_job_end(job, box, GA_JOB_OOM_KILLED, "the job used more memory than its limit");
	else if (stat(path, &panic) == 0 && panic.st_size > 0)
		ga_job_end(job, box, GA_JOB_LOST, "the sandbox crashed under the job");
	else
	{
		snprintf(error, sizeof(error), "the sandbox ended without a result%s%.300s",
		         box->tail[0] != '\0' ? ": " : "", box->tail);
		ga_job_end(job, box, GA_JOB_LOST, error);
	}
}
